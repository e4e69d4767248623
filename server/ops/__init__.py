"""Operations: health, metrics, logs, background jobs, the doctor and the audit."""
