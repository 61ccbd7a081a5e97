"""The measurements: what deskstore promises about speed and size, each against its reference in the same run."""
