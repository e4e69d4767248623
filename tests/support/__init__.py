"""What tests share: the embedded database of a session and builders of test data."""
