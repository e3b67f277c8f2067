{{- define "rynjer.labels" -}}
app.kubernetes.io/name: rynjer
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Call with (dict "root" $ "role" "api" "own" .Values.api). */ -}}
{{- define "rynjer.selector" -}}
app.kubernetes.io/name: rynjer
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- /* What would lose files or mix up clients is refused before anything is installed. */ -}}
{{- define "rynjer.check" -}}
{{- $storage := get .Values.settings "storage" | default dict }}
{{- if and (not .Values.outputsClaim) (not (get $storage "url")) }}
{{- fail "outputs need a place that all pods see: set settings.storage.url (s3://bucket/prefix) or outputsClaim" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.trustedProxies) }}
{{- fail "set trustedProxies to the addresses of the ingress controller, else all clients count as one" }}
{{- end }}
{{- end }}

{{- define "rynjer.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .role }}
  labels:
    {{- include "rynjer.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  {{- if not (and (eq .role "api") .own.autoscaling.enabled) }}
  replicas: {{ .own.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "rynjer.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        {{- include "rynjer.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      annotations:
        checksum/settings: {{ .root.Values.settings | toYaml | sha256sum }}
    spec:
      terminationGracePeriodSeconds: {{ .root.Values.terminationGraceSeconds }}
      {{- with .root.Values.serviceAccountName }}
      serviceAccountName: {{ . }}
      {{- end }}
      automountServiceAccountToken: false
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile:
          type: RuntimeDefault
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "rynjer.selector" . | nindent 14 }}
      containers:
        - name: rynjer
          image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - serve
            - --role
            - {{ .role }}
            - --data-dir
            - /data
            - --config
            - /etc/rynjer/rynjer.toml
            {{- if eq .role "api" }}
            - --listen
            - 0.0.0.0:8787
            - --behind-proxy
            {{- end }}
            - --metrics-listen
            - 0.0.0.0:9464
          envFrom:
            {{- range .root.Values.secretNames }}
            - secretRef:
                name: {{ . }}
            {{- end }}
          ports:
            {{- if eq .role "api" }}
            - name: http
              containerPort: 8787
            {{- end }}
            - name: metrics
              containerPort: 9464
          {{- if eq .role "api" }}
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 10
            failureThreshold: 3
          # 503 from the first moment of a drain: no new connection is sent here then.
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 2
            failureThreshold: 1
          lifecycle:
            preStop:
              # The endpoint is taken away at the same time as SIGTERM comes: wait until all proxies know.
              exec:
                command: ["sleep", "5"]
          {{- else }}
          startupProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 30
            timeoutSeconds: 5
            failureThreshold: 3
          {{- end }}
          resources:
            {{- toYaml .own.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: ["ALL"]
          volumeMounts:
            - {name: settings, mountPath: /etc/rynjer, readOnly: true}
            - {name: data, mountPath: /data}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: settings
          configMap:
            name: {{ .root.Release.Name }}-settings
        - name: data
          {{- if .root.Values.outputsClaim }}
          persistentVolumeClaim:
            claimName: {{ .root.Values.outputsClaim }}
          {{- else }}
          emptyDir: {}
          {{- end }}
        - name: tmp
          emptyDir: {}
{{- end }}
