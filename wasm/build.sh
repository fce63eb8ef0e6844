#!/usr/bin/env bash
# Builds for wasm32-unknown-unknown on any machine with rustup's stable.
#   wasm/build.sh check-core   type-checks daysum-core for the browser
#   wasm/build.sh build        makes wasm/dist/{web,bundler,nodejs,page} and checks the size
#   wasm/build.sh size         prints the sizes; fails above the budget
#   wasm/build.sh serve [PORT] serves the page on this machine
# The target comes from rustup where it can be had; else Debian's rustc-web compiles std from its sources.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
# A directory of its own: other flags, and no waiting for the lock of a build that runs beside it.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/wasm

# apt PACKAGE…: installs what is not there yet.
apt() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  command -v apt-get >/dev/null || { echo "install $* by hand: there is no apt-get" >&2; exit 1; }
  dpkg-query -W -f='${Status}\n' "$@" 2>/dev/null | grep -c 'ok installed' | grep -qx $# && return
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "$@"
}

# The cargo command, for whichever compiler has the target.
cargo_wasm() {
  if rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" 2>/dev/null; then
    cargo "$@" --target "$target"
  else
    apt rustc-web rust-web-src libstd-rust-web-dev
    # Debian's stable compiler builds std only when told that it may use what std itself uses.
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(rustc --print sysroot)/lib/rustlib/$(host)/bin/rust-lld \
      RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo "$@" --target "$target" -Zbuild-std=std,panic_abort
  fi
}

host() { rustc -vV | sed -n 's/^host: //p'; }

# zstd is C: any clang that knows wasm32, the newest first.
c_compiler() {
  [ -z "${CC_wasm32_unknown_unknown:-}" ] || return 0
  local clang
  clang=$(compgen -c | grep -Ex 'clang(-[0-9]+)?' | sort -Vu | tail -n 1) || true
  if [ -z "$clang" ]; then
    clang=$(apt-cache search --names-only '^clang-[0-9]+$' | grep -o '^clang-[0-9]*' | sort -V | tail -n 1) || true
    apt "${clang:-clang}"
  fi
  export CC_wasm32_unknown_unknown=${clang:-clang}
}

# wasm-bindgen's tool, of exactly the crate's version: they speak a private format.
wasm_bindgen() {
  local version tools=$CARGO_TARGET_DIR/tools
  version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)
  if [ "$("$tools/bin/wasm-bindgen" --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
    # Without --locked: its lock file names versions that not every registry has.
    CARGO_TARGET_DIR=$tools/target cargo install --quiet --force --root "$tools" wasm-bindgen-cli --version "$version"
    rm -rf "$tools/target"
  fi
  "$tools/bin/wasm-bindgen" "$@"
}

# Nothing here compresses with zstd: its stronger compressors stay out, and its decoder is the small one.
zstd_flags() {
  local name flags=(-DHUF_FORCE_DECOMPRESS_X1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT)
  for name in DFAST GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA; do flags+=("-DZSTD_EXCLUDE_${name}_BLOCK_COMPRESSOR"); done
  echo "${flags[*]}"
}

build() {
  c_compiler
  export CFLAGS_wasm32_unknown_unknown=${CFLAGS_wasm32_unknown_unknown:-$(zstd_flags)}
  cargo_wasm build -p daysum-wasm --profile wasm --locked
  local glue=$CARGO_TARGET_DIR/glue dist=wasm/dist way
  rm -rf "$glue"
  mkdir "$glue"
  node wasm/tools/snip.mjs "$CARGO_TARGET_DIR/$target/wasm/daysum_wasm.wasm" "$glue/snipped.wasm"
  wasm_bindgen --target web --remove-name-section --remove-producers-section --no-typescript --out-name daysum_wasm --out-dir "$glue" \
    "$glue/snipped.wasm"
  node wasm/tools/factory.mjs "$glue/daysum_wasm.js" "$glue/core.js"
  rm -rf "$dist"
  mkdir -p "$dist"
  for way in web bundler nodejs; do
    mkdir "$dist/$way"
    cp "$glue/daysum_wasm_bg.wasm" "$dist/$way/daysum.wasm"
    cp "$glue/core.js" wasm/js/{daysum,engine,errors,lookups,run,source}.js "$dist/$way/"
    cp "wasm/js/$way.js" "$dist/$way/index.js"
    cp wasm/js/daysum.d.ts "$dist/$way/index.d.ts"
  done
  cp -r wasm/page "$dist/page"
  cp -r "$dist/web" "$dist/page/daysum"
  cp LICENSE wasm/ # npm takes it from beside package.json
  node wasm/tools/size.mjs
}

case ${1:-} in
check-core) cargo_wasm check -p daysum-core --locked ;;
build) build ;;
size) node wasm/tools/size.mjs ;;
serve) node wasm/tools/serve.mjs "${2:-8000}" ;;
*) sed -n '3,6s/^# *//p' "$0" >&2; exit 2 ;;
esac
