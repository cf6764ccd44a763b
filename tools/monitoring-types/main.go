// Reads ServiceMonitors and PrometheusRules from standard input, a JSON list, and says what the Prometheus operator's own types say of
// each: nothing, or the field that they do not know or take otherwise.
package main

import (
	"encoding/json"
	"log"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Error string `json:"error"`
}

func main() {
	log.SetFlags(0)
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatal(err)
	}
	answers := make([]answer, len(objects))
	for i, raw := range objects {
		if err := read(raw); err != nil {
			answers[i].Error = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func read(raw []byte) error {
	var kind metav1.TypeMeta
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err
	}
	if kind.Kind == monitoring.ServiceMonitorsKind {
		return yaml.UnmarshalStrict(raw, &monitoring.ServiceMonitor{})
	}
	return yaml.UnmarshalStrict(raw, &monitoring.PrometheusRule{})
}
