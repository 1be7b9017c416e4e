#!/usr/bin/env bash
# gopkg.in/evanphx/json-patch.v4 v4.13.0, the JSON Patch of Kubernetes' API server (k8s.io/apiserver v0.37.2), compares
# strings and numbers of a `test` operation as they are written in JSON, not by what they mean. RFC 6902, section 4.6,
# says that strings are equal by their code points, and numbers by their value.
#
# So a document from Go's encoder, which writes "<" as \u003c, and a patch from most others, which write it plainly,
# are never equal:
#
#     document {"a":"x \u003c y"}  test "x < y"       testing value /a failed: test failed
#     document {"a":"x \u003c y"}  test "x \u003c y"  passes
#     document {"a":1}             test 1.0           testing value /a failed: test failed
#
# Objects and lists are compared member by member, in any order of keys, down to such texts.
#
# Needs Go 1.22 or newer and the public module proxy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.22

require gopkg.in/evanphx/json-patch.v4 v4.13.0
MOD
cat > main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

func try(document, value string) {
	patch, err := jsonpatch.DecodePatch([]byte(`[{"op":"test","path":"/a","value":` + value + `}]`))
	if err != nil {
		panic(err)
	}
	if _, err = patch.Apply([]byte(document)); err != nil {
		fmt.Printf("%s test %s: %v\n", document, value, err)
		return
	}
	fmt.Printf("%s test %s: passes\n", document, value)
}

func main() {
	encoded, err := json.Marshal(map[string]string{"a": "x < y"})
	if err != nil {
		panic(err)
	}
	try(string(encoded), `"x < y"`)
	try(string(encoded), `"x \u003c y"`)
	try(`{"a":1}`, `1.0`)
	try(`{"a":{"b":1,"c":"x"}}`, `{"c":"x","b":1}`)
}
GO
go mod tidy >/dev/null 2>&1
seen=$(go run .)
expected='{"a":"x \u003c y"} test "x < y": testing value /a failed: test failed
{"a":"x \u003c y"} test "x \u003c y": passes
{"a":1} test 1.0: testing value /a failed: test failed
{"a":{"b":1,"c":"x"}} test {"c":"x","b":1}: passes'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
    printf 'it behaves differently now; it was:\n%s\n' "$expected" >&2
    exit 1
fi
