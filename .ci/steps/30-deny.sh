# Bans, licences and sources need only the lock file and the registry. Advisories need a database on GitHub and run
# in .github/workflows/ci.yml.
source "$(dirname "$0")/../lib.sh"
cargo_tool cargo-deny 0.20.2
cargo deny --locked check bans licenses sources
