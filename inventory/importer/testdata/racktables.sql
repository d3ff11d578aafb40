-- MySQL dump 10.19
/*!40101 SET NAMES utf8 */;
DROP TABLE IF EXISTS `Object`;
CREATE TABLE `Object` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `name` char(255) DEFAULT NULL,
  `label` char(255) DEFAULT NULL,
  `objtype_id` int(10) unsigned NOT NULL DEFAULT '1',
  `asset_no` char(64) DEFAULT NULL,
  `has_problems` enum('yes','no') NOT NULL DEFAULT 'no',
  `comment` text,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;
INSERT INTO `Object` VALUES (1,'Frankfurt',NULL,1562,NULL,'no',NULL),(2,'Row A',NULL,1561,NULL,'no',NULL),(3,'A1',NULL,1560,'RT-3','no','it\'s by the door'),
(10,'srv1','label 1',4,'T-10','no','first line\r\nsecond; with (brackets), and \"quotes\"'),(11,'srv2',NULL,4,NULL,'yes',NULL),(12,'sw1',NULL,8,'T-12','no',NULL),(13,'guest',NULL,1504,NULL,'no',NULL),(14,'pdu-left',NULL,2,'T-14','no',NULL),(15,NULL,'spare',4,'T-15','no',NULL);
CREATE TABLE `AttributeValue` (
  `object_id` int(10) unsigned DEFAULT NULL,
  `object_tid` int(10) unsigned NOT NULL DEFAULT '0',
  `attr_id` int(10) unsigned DEFAULT NULL,
  `string_value` char(255) DEFAULT NULL,
  `uint_value` int(10) unsigned DEFAULT NULL,
  `float_value` float DEFAULT NULL
);
INSERT INTO `AttributeValue` VALUES (3,1560,27,NULL,24,NULL),(10,4,1,'79OH8D2',NULL,NULL),(10,4,2,NULL,2000,NULL),(10,4,14,'Anna',NULL,NULL),(10,4,22,NULL,1767139200,NULL),(10,4,25,'4C4C4544-0039-4F10-8048-B7C04F384432',NULL,NULL),(12,8,2,NULL,2001,NULL);
CREATE TABLE `Dictionary` (
  `chapter_id` int(10) unsigned NOT NULL,
  `dict_key` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `dict_sticky` enum('yes','no') DEFAULT 'no',
  `dict_value` char(255) DEFAULT NULL
);
INSERT INTO `Dictionary` (`chapter_id`, `dict_key`, `dict_sticky`, `dict_value`) VALUES (1,4,'yes','Server'),(1,8,'yes','Network switch'),(1,2,'yes','PDU'),(1,1504,'yes','VM'),(1,1560,'yes','Rack'),(11,2000,'no','[[Dell PowerEdge%GPASS%R730 | http://www.dell.com/]]'),(12,2001,'no','Arista%GPASS%DCS-7050');
CREATE TABLE `RackSpace` (
  `rack_id` int(10) unsigned NOT NULL DEFAULT '0',
  `unit_no` int(10) unsigned NOT NULL DEFAULT '0',
  `atom` enum('front','interior','rear') NOT NULL DEFAULT 'interior',
  `state` enum('A','U','T') NOT NULL DEFAULT 'A',
  `object_id` int(10) unsigned DEFAULT NULL
);
INSERT INTO `RackSpace` VALUES (3,5,'front','T',10),(3,5,'interior','T',10),(3,5,'rear','T',10),(3,6,'front','T',10),(3,6,'interior','T',10),(3,6,'rear','T',10),(3,24,'rear','T',12);
CREATE TABLE `EntityLink` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `parent_entity_type` enum('location','object','rack','row') NOT NULL,
  `parent_entity_id` int(10) unsigned NOT NULL,
  `child_entity_type` enum('location','object','rack','row') NOT NULL,
  `child_entity_id` int(10) unsigned NOT NULL
);
INSERT INTO `EntityLink` VALUES (1,'location',1,'row',2),(2,'row',2,'rack',3),(3,'rack',3,'object',14);
CREATE TABLE `Port` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `object_id` int(10) unsigned NOT NULL DEFAULT '0',
  `name` char(255) NOT NULL DEFAULT '',
  `iif_id` int(10) unsigned NOT NULL,
  `type` int(10) unsigned NOT NULL DEFAULT '0',
  `l2address` char(64) DEFAULT NULL,
  `reservation_comment` char(255) DEFAULT NULL,
  `label` char(255) DEFAULT NULL
);
INSERT INTO `Port` VALUES (1,10,'eth0',1,24,'AC1F6B8D1101',NULL,NULL),(2,12,'Et1',1,24,NULL,NULL,'left');
CREATE TABLE `Link` (`porta` int(10) unsigned NOT NULL DEFAULT '0', `portb` int(10) unsigned NOT NULL DEFAULT '0', `cable` char(64) DEFAULT NULL);
INSERT INTO `Link` (`porta`,`portb`,`cable`) VALUES (1,2,'C-77');
CREATE TABLE `IPv4Allocation` (
  `object_id` int(10) unsigned NOT NULL DEFAULT '0',
  `ip` int(10) unsigned NOT NULL DEFAULT '0',
  `name` char(255) NOT NULL DEFAULT '',
  `type` enum('regular','shared','virtual','router','point2point','sharedrouter') NOT NULL DEFAULT 'regular'
);
INSERT INTO `IPv4Allocation` VALUES (10,172818443,'eth0','regular');
CREATE TABLE `IPv4Network` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `ip` int(10) unsigned NOT NULL DEFAULT '0',
  `mask` int(10) unsigned NOT NULL DEFAULT '0',
  `name` char(255) DEFAULT NULL,
  `comment` text
);
INSERT INTO `IPv4Network` VALUES (1,172818432,24,'servers',NULL);
CREATE TABLE `TagTree` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `parent_id` int(10) unsigned DEFAULT NULL,
  `is_assignable` enum('yes','no') NOT NULL DEFAULT 'yes',
  `tag` char(255) DEFAULT NULL
);
INSERT INTO `TagTree` VALUES (1,NULL,'yes','donated');
CREATE TABLE `TagStorage` (
  `entity_realm` enum('file','ipv4net','object','rack') NOT NULL DEFAULT 'object',
  `entity_id` int(10) unsigned NOT NULL,
  `tag_id` int(10) unsigned NOT NULL DEFAULT '0'
);
INSERT INTO `TagStorage` VALUES ('object',10,1);
CREATE TABLE `File` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `contents` longblob NOT NULL
);
INSERT INTO `File` VALUES (1,_binary '\0\0;\'\\\n(),'),(2,0x00FF27);
