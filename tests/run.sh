#!/usr/bin/env bash
# Every test of the workspace. They start their own PostgreSQL, so its server must be installed: this does it where
# apt-get can, and says what to do where it cannot. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob

has_server() {
  local found=("${PG_BIN:-/nonexistent}"/initdb /usr/lib/postgresql/*/bin/initdb)
  command -v initdb >/dev/null || [ -x "${found[-1]}" ] || [ -x "${found[0]}" ]
}

if ! has_server; then
  if ! command -v apt-get >/dev/null; then
    echo "install PostgreSQL's server, 15 or newer, and put its bin directory into PATH or PG_BIN" >&2
    exit 1
  fi
  root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  # The package would start a cluster of its own, which nobody asked for.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common
  "${root[@]}" sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
fi

cargo test --workspace --locked "$@"
