# Builds the proxy as it is shipped, and what measures it; sourced by the commands of this folder.

# $1 is what to measure, the rest its arguments.
measure() {
  local target="${CARGO_TARGET_DIR:-$PWD/target}"
  # The benchmark's own build has the features of the tests, a clock that can be paused among them: what is measured is kept apart.
  cargo build --quiet --locked --release --bin polliwog || return
  cp "$target/release/polliwog" "$target/release/polliwog-measured" || return
  # A session takes two descriptors in the proxy, and two here.
  ulimit -S -n "$(ulimit -H -n)" || true
  POLLIWOG_BIN="$target/release/polliwog-measured" cargo bench --quiet --locked --bench proxy -- "$@"
}
