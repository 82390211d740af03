# Sourced by tests/run and .ci/run: runs named steps one after another, all of them to the end, and counts.

steps_passed=0
steps_failed=()
steps_said=$(mktemp)
trap 'rm -f "$steps_said"' EXIT
# The steps of a step say no second time what went wrong: the outermost does, and it comes last.
steps_outermost=${STEPS_WITHIN:-yes}
export STEPS_WITHIN=no

# step TITLE COMMAND...: runs the command under a heading, with its outcome and time behind it.
step() {
  local title=$1 started=$SECONDS status=0
  shift
  printf '\n=== %s\n' "$title"
  "$@" </dev/null 2>&1 | tee "$steps_said"
  status=${PIPESTATUS[0]}
  if ((status == 0)); then
    steps_passed=$((steps_passed + 1))
    printf '=== %s: passed in %d s\n' "$title" $((SECONDS - started))
  else
    steps_failed+=("$title")
    [[ $steps_outermost == yes ]] && steps_faults+=$'\n'"=== $title, again"$'\n'"$(faults "$steps_said")"$'\n'
    printf '=== %s: FAILED with status %d in %d s\n' "$title" "$status" $((SECONDS - started))
  fi
}

# What of a step's output tells why it failed, short enough for the end of a log.
steps_faults=
faults() {
  grep -E -A 12 '^(FAILED|error|warning|Diff in)|^ *FAIL |panicked at' "$1" | head -n 60 | grep . || tail -n 30 "$1"
}

# Shows again why steps failed, names them, closes with the counts, and exits 1 if anything failed.
finish() {
  printf '\n'
  if ((${#steps_failed[@]})); then
    printf '%s\n' "$steps_faults"
    printf 'failed: %s\n' "${steps_failed[@]}"
  fi
  printf '%d passed, %d failed\n' "$steps_passed" "${#steps_failed[@]}"
  exit $((${#steps_failed[@]} > 0))
}

# need TOOL WHAT-FOR: stops at once where a tool is missing; all of them are told, not just the first.
missing=()
need() {
  command -v "$1" >/dev/null || missing+=("$1 is not installed: $2")
}
stop_if_missing() {
  if ((${#missing[@]})); then
    printf '%s\n' "${missing[@]}" >&2
    exit 1
  fi
}
