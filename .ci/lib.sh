# Sourced by every step: settings that all builds share, and ways to get what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One target directory and the same flags everywhere, so that no step compiles what another has compiled.
export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never CARGO_PROFILE_DEV_DEBUG=0
export CARGO_NET_RETRY=5
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# apt PACKAGE… : installs what is not there yet.
apt() {
  local missing=() package root=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# cargo_tool NAME VERSION : a cargo subcommand of exactly this version, kept for the next run.
cargo_tool() {
  [ "$("$1" --version 2>/dev/null | awk '{print $2}')" = "$2" ] && return
  cargo install --locked --force --quiet "$1" --version "$2"
}
