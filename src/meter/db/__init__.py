"""The database room: migrations, SQL functions and one gateway class per aggregate."""
