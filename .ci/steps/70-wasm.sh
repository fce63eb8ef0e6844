# The package for browsers, Node and edge workers: its size, and the goldens in Node, workerd and Chromium.
source "$(dirname "$0")/../lib.sh"
command -v node >/dev/null && command -v npm >/dev/null || apt nodejs npm
# What Vite asks for.
if ! node --eval '
  const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1);'; then
  echo "Node 20.19, or 22.12 or newer, is needed; there is $(node --version)" >&2
  exit 1
fi
# Chromium where apt has it; Ubuntu's runners bring Chrome.
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
[ -n "$CHROMIUM" ] || { apt chromium && CHROMIUM=$(command -v chromium); }
wasm/build.sh build
cargo build --locked --bin daysum
target=${CARGO_TARGET_DIR:-$PWD/target}
export DAYSUM=$target/debug/daysum # what the tests compare with
log=$target/wasm-test.log
cd wasm
npm ci --no-audit --no-fund
node --test --test-reporter=tap tests/*.test.mjs | tee "$log"
# Neither a test that was skipped nor a run without tests is a failure to Node; both are here.
grep -Eq '^# pass [1-9][0-9]' "$log"
if grep -E '^# (skipped|todo|cancelled) [1-9]' "$log"; then exit 1; fi
