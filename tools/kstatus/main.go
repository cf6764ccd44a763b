// Command kstatus says what kstatus, and with it Flux, reads in objects.
//
//	kstatus < objects.json
//
// Reads a JSON list of objects and writes the list of their statuses in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type reading struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("standard input is no JSON list of objects: %w", err)
	}
	readings := make([]reading, 0, len(objects))
	for index, raw := range objects {
		// Its own decoder keeps integers whole, as a client of the API server does.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		result, err := status.Compute(object)
		if err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		readings = append(readings, reading{Status: result.Status.String(), Message: result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(readings)
}
