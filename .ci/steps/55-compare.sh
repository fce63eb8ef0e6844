# The same rows from DuckDB and Polars as from daysum, by SQL and frames that share no code with it: on a generated month,
# and on one with what is rare. Times are printed, and nobody is judged by them.
source "$(dirname "$0")/../lib.sh"
command -v python3 >/dev/null || apt python3
python3 -c 'import ensurepip' 2>/dev/null || apt python3-venv
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --locked --bin daysum
python3 -m venv "$target/compare/venv"
python=$target/compare/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check --requirement tests/compare/requirements.txt
rm -rf "$target/compare/plain" "$target/compare/awkward"
"$target/release/daysum" generate --rows 200k --output "$target/compare/plain"
"$python" tests/compare/awkward.py "$target/compare/plain" "$target/compare/awkward"
for data in plain awkward; do
  "$python" tests/compare/compare.py --daysum "$target/release/daysum" --data "$target/compare/$data" --runs 1
done
