//! The three stores behind one small interface, each with its recommended settings.

use std::{error::Error, path::Path};

use fjall::{Database as Fjall, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{Database as Redb, Durability, ReadableDatabase, TableDefinition};
use rusqlite::{Connection, params};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const VALUE_LEN: usize = 160;
const CACHE_BYTES: usize = 256 << 20;

pub struct Row {
    pub group: u64,
    pub seq: u64,
    pub value: [u8; VALUE_LEN],
}

/// Group and sequence, both big-endian, so that byte order is page order.
fn key(group: u64, seq: u64) -> [u8; 16] {
    ((u128::from(group) << 64) | u128::from(seq)).to_be_bytes()
}

fn seq_of(key: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(key[8..].try_into()?))
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Fjall,
    Redb,
    RedbQuickRepair,
    Sqlite,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Fjall, Self::Redb, Self::RedbQuickRepair, Self::Sqlite];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Redb => "redb",
            Self::RedbQuickRepair => "redb-quick-repair",
            Self::Sqlite => "sqlite",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn open(self, dir: &Path) -> Result<Box<dyn Store>> {
        std::fs::create_dir_all(dir)?;
        Ok(match self {
            Self::Fjall => Box::new(FjallStore::open(dir)?),
            Self::Redb => Box::new(RedbStore::open(dir, false)?),
            Self::RedbQuickRepair => Box::new(RedbStore::open(dir, true)?),
            Self::Sqlite => Box::new(SqliteStore::open(dir)?),
        })
    }
}

pub trait Store: Send + Sync {
    fn writer(&self) -> Result<Box<dyn Writer + '_>>;
    fn reader(&self) -> Result<Box<dyn Reader + '_>>;
}

pub trait Writer: Send {
    /// Returns when all rows are on disk; one fsync for all of them.
    fn commit(&mut self, rows: &[Row]) -> Result<()>;
}

pub trait Reader: Send {
    /// Fills `page` with at most `limit` rows below `before`, newest first.
    fn page(&mut self, group: u64, before: u64, limit: usize, page: &mut Page) -> Result<()>;
}

pub type Page = Vec<(u64, Vec<u8>)>;

struct FjallStore {
    db: Fjall,
    rows: Keyspace,
}

impl FjallStore {
    fn open(dir: &Path) -> Result<Self> {
        let db = Fjall::builder(dir).cache_size(CACHE_BYTES as u64).worker_threads(2).open()?;
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?;
        Ok(Self { db, rows })
    }
}

impl Store for FjallStore {
    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }
    fn reader(&self) -> Result<Box<dyn Reader + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &FjallStore {
    fn commit(&mut self, rows: &[Row]) -> Result<()> {
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.db.clone(), rows.len())
            .durability(Some(PersistMode::SyncData));
        for row in rows {
            batch.insert(&self.rows, key(row.group, row.seq), row.value);
        }
        Ok(batch.commit()?)
    }
}

impl Reader for &FjallStore {
    fn page(&mut self, group: u64, before: u64, limit: usize, page: &mut Page) -> Result<()> {
        page.clear();
        let range = self.rows.range(key(group, 0)..key(group, before));
        for guard in range.rev().take(limit) {
            let (key, value) = guard.into_inner()?;
            page.push((seq_of(&key)?, value.to_vec()));
        }
        Ok(())
    }
}

const TABLE: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("rows");

struct RedbStore {
    db: Redb,
    quick_repair: bool,
}

impl RedbStore {
    fn open(dir: &Path, quick_repair: bool) -> Result<Self> {
        let db = Redb::builder().set_cache_size(CACHE_BYTES).create(dir.join("rows.redb"))?;
        let store = Self { db, quick_repair };
        (&store).commit(&[])?;
        Ok(store)
    }
}

impl Store for RedbStore {
    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }
    fn reader(&self) -> Result<Box<dyn Reader + '_>> {
        Ok(Box::new(self))
    }
}

impl Writer for &RedbStore {
    fn commit(&mut self, rows: &[Row]) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(Durability::Immediate)?;
        tx.set_quick_repair(self.quick_repair);
        let mut table = tx.open_table(TABLE)?;
        for row in rows {
            table.insert(&key(row.group, row.seq), row.value.as_slice())?;
        }
        drop(table);
        Ok(tx.commit()?)
    }
}

impl Reader for &RedbStore {
    fn page(&mut self, group: u64, before: u64, limit: usize, page: &mut Page) -> Result<()> {
        page.clear();
        let table = self.db.begin_read()?.open_table(TABLE)?;
        let (first, end) = (key(group, 0), key(group, before));
        let range = table.range::<&[u8; 16]>(&first..&end)?;
        for entry in range.rev().take(limit) {
            let (key, value) = entry?;
            page.push((seq_of(key.value())?, value.value().to_vec()));
        }
        Ok(())
    }
}

struct SqliteStore {
    path: std::path::PathBuf,
}

impl SqliteStore {
    fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("rows.sqlite");
        let store = Self { path };
        store.connect()?.execute_batch(
            "CREATE TABLE IF NOT EXISTS rows (
                grp INTEGER NOT NULL, seq INTEGER NOT NULL, value BLOB NOT NULL,
                PRIMARY KEY (grp, seq)) WITHOUT ROWID, STRICT",
        )?;
        Ok(store)
    }

    fn connect(&self) -> Result<Connection> {
        let db = Connection::open(&self.path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        db.pragma_update(None, "cache_size", -((CACHE_BYTES >> 10) as i64))?;
        db.pragma_update(None, "mmap_size", 1_i64 << 30)?;
        Ok(db)
    }
}

impl Store for SqliteStore {
    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self.connect()?))
    }
    fn reader(&self) -> Result<Box<dyn Reader + '_>> {
        Ok(Box::new(self.connect()?))
    }
}

impl Writer for Connection {
    fn commit(&mut self, rows: &[Row]) -> Result<()> {
        let tx = self.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut insert = tx.prepare_cached("INSERT INTO rows VALUES (?1, ?2, ?3)")?;
        for row in rows {
            insert.execute(params![row.group as i64, row.seq as i64, &row.value])?;
        }
        drop(insert);
        Ok(tx.commit()?)
    }
}

impl Reader for Connection {
    fn page(&mut self, group: u64, before: u64, limit: usize, page: &mut Page) -> Result<()> {
        page.clear();
        let mut query = self.prepare_cached(
            "SELECT seq, value FROM rows WHERE grp = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
        )?;
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let mut rows = query.query(params![group as i64, before, limit as i64])?;
        while let Some(row) = rows.next()? {
            page.push((row.get::<_, i64>(0)? as u64, row.get(1)?));
        }
        Ok(())
    }
}
