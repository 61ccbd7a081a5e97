"""The file of a backup: a tar of packed lines, which is read and written here, whatever the storage."""
