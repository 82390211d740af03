# Sourced by what runs Python packages: environments of their own in tests/.cache, for pip leaves the system's alone.

# venv NAME REQUIREMENTS: makes tests/.cache/NAME hold what the file REQUIREMENTS pins; nothing to do if it already does.
venv() {
  local cache directory wanted requirements=$2
  cache=$(realpath -- "$(dirname "${BASH_SOURCE[0]}")")/.cache
  directory=$cache/$1
  # An environment knows where it is and which Python made it, so it is stale after a change of either.
  wanted=$(python3 --version && printf '%s\n' "$directory" && cat -- "$requirements") || return
  [[ -e $directory/made-of && $(<"$directory/made-of") == "$wanted" ]] && return

  need_venv || return
  rm -rf -- "$directory"
  mkdir -p -- "$cache"
  python3 -m venv -- "$directory" || return
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" || return
  printf '%s\n' "$wanted" >"$directory/made-of"
}

# Debian has the half of venv that brings pip in a package of its own.
need_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null && return
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null || return
    python3 -c 'import ensurepip, venv' 2>/dev/null && return
  fi
  echo "python3 has no working venv module: install it (on Debian: apt-get install python3-venv)" >&2
  return 1
}
