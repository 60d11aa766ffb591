"""Journeys in a real browser: JupyterLab with the panel, clicked as a person would."""
