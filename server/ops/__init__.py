"""What operators look at: health, metrics, logs, the doctor's report and the proof of the books."""
