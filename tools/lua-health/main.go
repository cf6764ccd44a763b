// Command lua-health says what Argo CD would say about objects: it runs a health check written in Lua as Argo CD documents it.
//
// The check sees the object as the global `obj` and returns a table with `status` and, if it likes, `message`
// (https://argo-cd.readthedocs.io/en/stable/operator-manual/health/#custom-health-checks). As there, no library is open
// but base and table, a check ends after a second, and a status that Argo CD does not know is an error.
//
//	lua-health check.lua < objects.json
//
// Reads a JSON list of objects and writes the list of their healths in the same order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

const limit = time.Second

var known = map[string]bool{
	"Healthy": true, "Progressing": true, "Degraded": true, "Suspended": true, "Missing": true, "Unknown": true,
}

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lua-health:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: lua-health check.lua < objects.json")
	}
	check, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("standard input is no JSON list of objects: %w", err)
	}
	healths := make([]health, 0, len(objects))
	for index, object := range objects {
		found, err := evaluate(string(check), object)
		if err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		healths = append(healths, found)
	}
	return json.NewEncoder(os.Stdout).Encode(healths)
}

// evaluate runs the check once, in an interpreter of its own.
func evaluate(check string, object map[string]any) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), Protect: true}, lua.LString(library.name)); err != nil {
			return health{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(check); err != nil {
		return health{}, err
	}
	returned, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return health{}, fmt.Errorf("the check returns a %s instead of a table", state.Get(-1).Type())
	}
	found := health{Status: text(returned, "status"), Message: text(returned, "message")}
	if !known[found.Status] {
		return health{}, fmt.Errorf("the check returns the status %q, which Argo CD does not know", found.Status)
	}
	return found, nil
}

// value makes a Lua value of a JSON value. A null is nil, which a table cannot hold: the field is missing then.
func value(state *lua.LState, raw any) lua.LValue {
	switch typed := raw.(type) {
	case bool:
		return lua.LBool(typed)
	case float64:
		return lua.LNumber(typed)
	case string:
		return lua.LString(typed)
	case []any:
		list := state.CreateTable(len(typed), 0)
		for _, each := range typed {
			list.Append(value(state, each))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(typed))
		for key, each := range typed {
			table.RawSetString(key, value(state, each))
		}
		return table
	default:
		return lua.LNil
	}
}

func text(table *lua.LTable, key string) string {
	if found, isText := table.RawGetString(key).(lua.LString); isText {
		return string(found)
	}
	return ""
}
