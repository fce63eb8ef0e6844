# The engine has no IO, no clock and no C code: it type-checks for the browser.
source "$(dirname "$0")/../lib.sh"
wasm/build.sh check-core
