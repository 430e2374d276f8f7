"""What each `otoscope folk` command does: settings in, records and pages out."""
