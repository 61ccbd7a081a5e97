"""What deskstore is about: records, rules and ports, with no storage in sight."""
