"""The tuning report: what each change to a run cost and what it brought, as a page and as files."""
