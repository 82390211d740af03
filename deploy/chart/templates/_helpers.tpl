{{/* The name of everything: the release's, with the chart's unless it contains that. */}}
{{- define "polliwog.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Which pods are of this release. It never changes, since a Deployment's selector cannot. */}}
{{- define "polliwog.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "polliwog.labels" -}}
{{ include "polliwog.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "polliwog.tokenSecret" -}}
{{ .Values.cluster.tokenSecret | default (printf "%s-cluster" (include "polliwog.name" .)) }}
{{- end -}}
