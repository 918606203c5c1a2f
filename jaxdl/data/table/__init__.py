"""Tables and time series: CSV files, named columns of any library, windows."""
