"""Tasks that start by the clock: ``@app.task(every=...)``, ``@app.task(cron=...)``."""
