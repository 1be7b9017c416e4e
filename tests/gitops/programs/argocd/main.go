// Compares manifests with live objects as Argo CD's application controller does, by its own code.
//
// Usage: argocd-diff KUBECONFIG CONTEXT; on standard input {"live", "target", "ignore", "mode"}, where mode is one of
// "client" (the default of Argo CD), "structured" (with ServerSideApply=true) and "server" (with ServerSideDiff=true).
// Writes {"modified", "live", "predicted"}.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
)

type comparison struct {
	Live   map[string]any                       `json:"live"`
	Target map[string]any                       `json:"target"`
	Ignore []v1alpha1.ResourceIgnoreDifferences `json:"ignore"`
	Mode   string                               `json:"mode"`
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig, context string) error {
	var one comparison
	if err := json.NewDecoder(os.Stdin).Decode(&one); err != nil {
		return err
	}
	// As controller/state.go does.
	builder := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(one.Ignore, map[string]v1alpha1.ResourceOverride{}, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("", string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithManager(common.ArgoCDSSAManager)
	if one.Mode != "client" {
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
			&clientcmd.ConfigOverrides{CurrentContext: context},
		).ClientConfig()
		if err != nil {
			return err
		}
		kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
		_, parser, err := kubectl.LoadOpenAPISchema(config)
		if err != nil {
			return err
		}
		builder.WithGVKParser(parser)
		if one.Mode == "structured" {
			builder.WithStructuredMergeDiff(true)
		} else {
			applier, cleanup, err := kubectl.ManageServerSideDiffDryRuns(config)
			if err != nil {
				return err
			}
			defer cleanup()
			builder.WithServerSideDiff(true).WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier))
		}
	}
	settings, err := builder.Build()
	if err != nil {
		return err
	}
	result, err := argodiff.StateDiff(
		&unstructured.Unstructured{Object: one.Live}, &unstructured.Unstructured{Object: one.Target}, settings,
	)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"modified":  result.Modified,
		"live":      json.RawMessage(result.NormalizedLive),
		"predicted": json.RawMessage(result.PredictedLive),
	})
}
