# The README's own command.
source "$(dirname "$0")/../lib.sh"
commands=$(.ci/readme demo)
echo "$commands"
bash -euo pipefail -c "$commands"
