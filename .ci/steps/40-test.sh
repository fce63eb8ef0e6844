# The README's own command; it installs PostgreSQL's server where there is none.
source "$(dirname "$0")/../lib.sh"
commands=$(.ci/readme test)
echo "$commands"
bash -euo pipefail -c "$commands"
