"""Operations: health, metrics, logs, background jobs, ``server doctor``, the audit and replay."""
