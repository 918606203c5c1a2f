"""The sheet on trial: what is measured for each claim. `python -m jaxdl claims` lists the verdicts."""
