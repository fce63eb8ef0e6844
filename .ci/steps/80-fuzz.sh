# A short run of every fuzz target, with the same seed each time, where there is a nightly compiler. Where there is none
# this step says so: the corpus was replayed by the ordinary tests (tests/integration/corpus.rs), nothing else was tried.
source "$(dirname "$0")/../lib.sh"
if ! rustup toolchain list | grep -q '^nightly'; then
  echo "NO NIGHTLY COMPILER, NOTHING WAS FUZZED: rustup toolchain install nightly --profile minimal"
  exit 0
fi
cargo_tool cargo-fuzz 0.13.2
# The first build takes some ten minutes on two cores; it is kept beside the other steps' builds.
smoke=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
export CARGO_TARGET_DIR=$smoke
cd fuzz
cargo +nightly fuzz build
for target in $(cargo +nightly fuzz list); do
  # New inputs go to a copy: a smoke run must not change the work tree.
  rm -rf "$smoke/corpus/$target" && mkdir -p "$smoke/corpus/$target" "$smoke/artifacts"
  cp "corpus/$target"/* "$smoke/corpus/$target/"
  log=$smoke/$target.log
  if ! cargo +nightly fuzz run "$target" "$smoke/corpus/$target" -- -seed=1 -runs=20000 -max_total_time=60 \
    -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -artifact_prefix="$smoke/artifacts/$target-" >"$log" 2>&1; then
    tail -n 100 "$log"
    echo "$target failed; put the input of $smoke/artifacts into fuzz/corpus/$target with the fix"
    exit 1
  fi
  grep -E 'number_of_executed_units: [1-9]' "$log"
done
