# A short run of every target where there is a nightly compiler. Where there is none, the corpus has still been
# replayed by the ordinary tests (tests/integration/corpus.rs), and this step says so.
source "$(dirname "$0")/../lib.sh"
if ! rustup toolchain list | grep -q '^nightly'; then
  echo "no nightly compiler: the corpus was replayed by the tests and nothing else was tried"
  exit 0
fi
cargo_tool cargo-fuzz 0.13.2
cd fuzz
for target in $(cargo +nightly fuzz list); do
  # New inputs go to a copy: a smoke run must not change the work tree.
  rm -rf "target/smoke/$target" && mkdir -p "target/smoke/$target"
  cp "corpus/$target"/* "target/smoke/$target/"
  cargo +nightly fuzz run "$target" "target/smoke/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-20}" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1
done
