#!/usr/bin/env bash
# Builds for wasm32-unknown-unknown on any machine with rustup's stable.
#   wasm/build.sh check-core   type-checks daysum-core for the browser
# The target comes from rustup where it can be had; else Debian's rustc-web compiles std from its sources.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/wasm

debian_packages() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  command -v apt-get >/dev/null || { echo "neither rustup nor apt-get offers $target: install it" >&2; exit 1; }
  dpkg-query -W -f='${Status}' rust-web-src 2>/dev/null | grep -q 'ok installed' && return
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
    rustc-web rust-web-src libstd-rust-web-dev
}

# The cargo command, for whichever compiler has the target.
build() {
  if rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" 2>/dev/null; then
    cargo "$@" --target "$target"
  else
    debian_packages
    # Debian's stable compiler builds std only when told that it may use what std itself uses.
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo "$@" --target "$target" -Zbuild-std=std,panic_abort
  fi
}

case ${1:-} in
check-core) build check -p daysum-core --locked ;;
*) sed -n '2,4s/^# *//p' "$0" >&2; exit 2 ;;
esac
