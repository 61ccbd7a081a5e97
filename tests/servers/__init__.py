"""The servers that tests run against: those named by TEST_DATABASE_URL and TEST_REDIS_URL, else servers of the tests' own."""
