"""State that outlives the server: kept in a folder while it runs, taken up by the next one."""
