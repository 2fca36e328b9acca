-- Undoes stage.sql.
drop table staged
