"""The judgment explorer: judgments as columns, and the script that shows them in any page."""
