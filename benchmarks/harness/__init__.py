"""What every comparison shares: contenders, scenarios, fresh processes, tables."""
