-- The start of a round: nothing of the one before is left in what its phases hand to each other.
delete from replay_deficit;
delete from replay_realised;
delete from replay_breach;
delete from replay_order;
delete from replay_fill;
delete from replay_taken;
delete from replay_call;
delete from replay_slice;
delete from replay_collected;
