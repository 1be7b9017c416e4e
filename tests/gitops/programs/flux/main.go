// Applies a manifest and compares it with the cluster as Flux's kustomize-controller does, by its own code.
//
// Usage: flux-ssa KUBECONFIG CONTEXT VERB; on standard input the manifest. VERB is "diff" (a dry run that says what an
// apply would do, as `flux diff kustomization`) or "apply". Writes Flux's own word as JSON: "created", "configured" or
// "unchanged".
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const controller = "kustomize-controller"

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig, current, verb string) error {
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(os.Stdin).Decode(&object.Object); err != nil {
		return err
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: current},
	).ClientConfig()
	if err != nil {
		return err
	}
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	manager := ssa.NewResourceManager(
		reader, nil, ssa.Owner{Field: controller, Group: "kustomize.toolkit.fluxcd.io"},
	)
	objects := []*unstructured.Unstructured{object}
	manager.SetOwnerLabels(objects, "apps", "flux-system")
	if err := normalize.UnstructuredList(objects); err != nil {
		return err
	}
	if verb == "apply" {
		changes, err := manager.ApplyAllStaged(context.Background(), objects, options())
		if err != nil {
			return err
		}
		return write(changes.Entries[0].Action)
	}
	change, _, _, err := manager.Diff(context.Background(), object, ssa.DefaultDiffOptions())
	if err != nil {
		return err
	}
	return write(change.Action)
}

// As internal/controller/kustomization_controller.go of kustomize-controller v1.9.6 has them in its `apply`.
func options() ssa.ApplyOptions {
	found := ssa.DefaultApplyOptions()
	found.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{corev1.LastAppliedConfigAnnotation},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: controller, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
	}
	return found
}

func write(action ssa.Action) error {
	return json.NewEncoder(os.Stdout).Encode(action.String())
}
