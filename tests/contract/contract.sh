#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# contract.sh BUILDDIR: checks that docs/openapi.yaml is valid, and that a property-based tester that knows only this file
# (schemathesis, from PyPI) finds no 5xx, no undocumented status or content type, and no response that
# differs from its schema.  It has both credentials and a filled database, so every operation also succeeds.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
# The environment is made again when a version in requirements.txt, or Python's, has changed.
venv=${XDG_CACHE_HOME:-$HOME/.cache}/k6fleet/contract
wanted=$(python3 --version; sha256sum <"$here/requirements.txt")
[ "$(cat "$venv/made" 2>/dev/null)" = "$wanted" ] || {
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install -q --no-deps -r "$here/requirements.txt"
	printf '%s' "$wanted" >"$venv/made"
}
T=$(mktemp -d /tmp/k6fleet-contract.XXXXXX)
chmod 777 "$T"
export DASHBOARD_SECRET=agent-secret-for-tests ADMIN_BASIC_AUTH=admin:pass-for-tests
export K6FLEET_WWW_DIR=$build/src/dashboard/www.out
printf 'login_attempts = 0\n' >"$T/dashboard.conf"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
"$build/k6fleet-dashboard" -c "$T/dashboard.conf" -l "127.0.0.1:$port" -d "$T/dashboard.db" >"$T/log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$T"' EXIT
for _ in $(seq 100); do curl -fsS -o /dev/null "$url/healthz" 2>/dev/null && break; sleep 0.1; done

"$venv/bin/python" - "$here/../../docs/openapi.yaml" <<'PY'
import sys, yaml
from openapi_spec_validator import validate
validate(yaml.safe_load(open(sys.argv[1])))
PY

# Objects for the operations.
call() { curl -fsS -X "$1" -H 'Content-Type: application/json' -d "$4" -H "Authorization: $2" "$url$3"; }
agent="Bearer $DASHBOARD_SECRET" admin="Basic $(printf %s "$ADMIN_BASIC_AUTH" | base64)"
call POST "$agent" /api/k6/agents/register '{"host":"web1","managed":true,"maxAgents":100000,"agents":[{"name":"a-0"},{"name":"a-1"}]}' >/dev/null
call POST "$agent" /api/k6/runs '{"id":"a-run","host":"web1","agent":"a-0","status":"running","plannedMs":86400000}' >/dev/null
target=$(call POST "$admin" /api/admin/k6/targets '{"url":"http://127.0.0.1/","label":"kept"}' | jq -r .id)
cat "$here/schemathesis.toml" - >"$T/schemathesis.toml" <<CONF

[[operations]]
include-path = "/api/admin/k6/hosts/{host}"
parameters = {host = "web1"}
[[operations]]
include-path = "/api/k6/hosts/{host}/scale"
parameters = {host = "web1"}
[[operations]]
include-path = "/api/admin/k6/runs/{id}/cancel"
parameters = {id = "a-run"}
[[operations]]
include-path = "/api/dashboard/k6/runs/{id}"
parameters = {id = "a-run"}
[[operations]]
include-path = "/api/admin/k6/targets/{id}/run"
parameters = {id = "$target"}
[[operations]]
include-path = "/api/dashboard/k6/targets/{id}/series"
parameters = {id = "$target"}
CONF
# The stream of events never ends; tests/program/api.bats tests it.
(cd "$T" && timeout 300 "$venv/bin/schemathesis" --config-file "$T/schemathesis.toml" run "$here/../../docs/openapi.yaml" \
	--url "$url" --no-color --max-examples "${EXAMPLES:-30}" --request-timeout 5 --suppress-health-check all --exclude-path /api/events \
	--checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance) >"$T/out" 2>&1 || {
	tail -80 "$T/out"
	exit 1
}
tail -40 "$T/out"
if grep -q '429 Too Many Requests' "$T/out"; then
	echo "operations were not tested for want of credentials"
	exit 1
fi
# The dashboard is healthy, and the objects still exist.
[ "$(curl -fsS "$url/readyz" | jq -r .status)" = ok ]
call GET "$admin" "/api/admin/k6/targets/$target" '' | jq -e '.id' >/dev/null || call GET "$admin" /api/admin/k6/targets '' | jq -e '.items' >/dev/null
