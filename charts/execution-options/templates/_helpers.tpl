{{/* Labels of an object; called with the root and the component. */}}
{{- define "execution-options.labels" -}}
{{- $root := index . 0 -}}
{{ include "execution-options.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which the pods of a component are found; called with the root and the component. */}}
{{- define "execution-options.selector" -}}
app.kubernetes.io/name: execution-options
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "execution-options.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A pod of a component: called with the root, the component, its arguments, ports, volume mounts and volumes. */}}
{{- define "execution-options.pod" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .component -}}
metadata:
  labels:
    {{- include "execution-options.labels" (list $root .component) | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: execution-options-{{ .component }}
  automountServiceAccountToken: true
  {{- if $values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with $values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" (default false $values.hostNetwork)) }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with $values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml . | nindent 4 }}
    labelSelector:
      matchLabels:
        {{- include "execution-options.selector" (list $root $.component) | nindent 8 }}
  {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  # Requests under way are answered and the Lease is given back before a process ends.
  terminationGracePeriodSeconds: 30
  containers:
  - name: {{ .component }}
    image: {{ include "execution-options.image" $root | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args:
    - {{ .component }}
    - --namespace={{ $root.Release.Namespace }}
    {{- range .arguments }}
    - {{ . }}
    {{- end }}
    - --log-format={{ $root.Values.log.format }}
    - --log-level={{ $root.Values.log.level }}
    {{- range $values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
    {{- with include "execution-options.environment" (list $root $values.env) | trim }}
    env:
      {{- . | nindent 6 }}
    {{- end }}
    ports:
    {{- range $name, $port := .ports }}
    - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
    {{- end }}
    livenessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: {path: /readyz, port: metrics}
      periodSeconds: 3
      timeoutSeconds: 3
    {{- with $values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      readOnlyRootFilesystem: true
    {{- with concat (default list .mounts) $values.extraVolumeMounts }}
    volumeMounts:
      {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with concat (default list .volumes) $values.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "execution-options.deployment" -}}
{{- $values := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: execution-options-{{ .component }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "execution-options.labels" (list .root .component) | nindent 4 }}
  {{- with $values.deploymentAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ $values.replicas }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit }}
  strategy:
    # A replica goes when another is ready.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "execution-options.selector" (list .root .component) | nindent 6 }}
  template:
    {{- include "execution-options.pod" . | nindent 4 }}
{{- end }}

{{/* How a program finds a proxy, unless its own environment says so; then that environment. */}}
{{- define "execution-options.environment" -}}
{{- $root := index . 0 }}
{{- $env := index . 1 }}
{{- $given := dict }}
{{- range $env }}
{{- $_ := set $given .name true }}
{{- end }}
{{- $proxy := default dict $root.Values.proxy }}
{{- if or $proxy.httpProxy $proxy.httpsProxy }}
{{- $no := prepend (compact (list $proxy.noProxy)) "$(KUBERNETES_SERVICE_HOST)" | join "," }}
{{- range $name, $value := dict "HTTP_PROXY" $proxy.httpProxy "HTTPS_PROXY" $proxy.httpsProxy "NO_PROXY" $no }}
{{- if and $value (not (hasKey $given $name)) }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- with $env }}
{{ toYaml . }}
{{- end }}
{{- end }}
