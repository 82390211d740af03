# Sourced by what needs programs or files of the system.

# debian WHAT PACKAGE: has a command, or a file by its whole path, from Debian's package where we may install it.
debian() {
  is_there "$1" && return
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$2" >/dev/null || true
  fi
  is_there "$1" && return
  echo "$0: there is no $1: install it (on Debian: apt-get install $2)" >&2
  return 1
}

is_there() {
  [[ -e $1 ]] || command -v "$1" >/dev/null
}
