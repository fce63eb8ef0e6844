source "$(dirname "$0")/../lib.sh"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
