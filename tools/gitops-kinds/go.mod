// The kinds of Argo CD and Flux, as their controllers' modules carry them: nothing of these is built.
module odp-dask-operator/tools/gitops-kinds

go 1.25.0

require (
	github.com/argoproj/argo-cd/v2 v2.14.20
	github.com/fluxcd/helm-controller v1.4.0
	github.com/fluxcd/kustomize-controller v1.7.2
	github.com/fluxcd/source-controller v1.7.0
)
