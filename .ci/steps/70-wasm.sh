# Core for wasm32, the package for browsers and Node within its size budget, and the goldens in Node and Chromium.
source "$(dirname "$0")/../lib.sh"
wasm/build.sh check-core
wasm/build.sh
wasm/test.sh
