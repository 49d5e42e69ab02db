# SPDX-License-Identifier: MIT
# fish completion for k6fleetctl; `k6fleetctl __complete` prints the candidates.

function __k6fleetctl_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct | string unescape)
    set -l candidates (k6fleetctl __complete $words[2..-1] "$typed" 2>/dev/null)
    if test "$candidates" = ':files'
        __fish_complete_path "$typed"
    else
        printf '%s\n' $candidates
    end
end
complete -c k6fleetctl -f -a '(__k6fleetctl_complete)'
