"""Where holders run: `ports.Engine` on this machine, later on Slurm and Kubernetes.

An engine starts, finds again, stops and kills; it knows no lease's state and no service.
"""
