/* SPDX-License-Identifier: BSD-3-Clause */
TEST_F(Conformance, P1_01_IsTried)
{
}
TEST_F(Conformance, P1_05_IsNoBehaviour)
{
}
TEST_F(Conformance, IsNamedAfterNothing)
{
}
