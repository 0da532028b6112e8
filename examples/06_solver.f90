! SPDX-License-Identifier: BSD-3-Clause
!
! 06_solver.f90 - a solver as they were written for decades: its state lives in a COMMON block and a SAVE variable.
!
! A mass on a spring with friction, by the classical Runge-Kutta method. The caller starts it, advances it some steps at
! a time, and asks for the energy. Two problems at once in one program overwrite each other's state.

subroutine solver_start(stiffness_in, friction_in) bind(C)
  use iso_c_binding, only: c_double
  implicit none
  real(c_double), value :: stiffness_in, friction_in
  real(c_double) :: place, speed, stiffness, friction
  common /spring/ place, speed, stiffness, friction
  place = 1
  speed = 0
  stiffness = stiffness_in
  friction = friction_in
end subroutine

! The forces at one moment; called four times a step.
subroutine solver_force(place_at, speed_at, force)
  use iso_c_binding, only: c_double
  implicit none
  real(c_double), intent(in) :: place_at, speed_at
  real(c_double), intent(out) :: force
  real(c_double) :: place, speed, stiffness, friction
  common /spring/ place, speed, stiffness, friction
  force = -stiffness * place_at - friction * speed_at
end subroutine

subroutine solver_advance(steps, width) bind(C)
  use iso_c_binding, only: c_double, c_int
  implicit none
  integer(c_int), value :: steps
  real(c_double), value :: width
  real(c_double) :: place, speed, stiffness, friction
  common /spring/ place, speed, stiffness, friction
  real(c_double), save :: force(4), drift(4) ! SAVE: the slopes are kept between calls, for whoever comes next
  integer :: step
  do step = 1, steps
    drift(1) = speed
    call solver_force(place, drift(1), force(1))
    drift(2) = speed + width / 2 * force(1)
    call solver_force(place + width / 2 * drift(1), drift(2), force(2))
    drift(3) = speed + width / 2 * force(2)
    call solver_force(place + width / 2 * drift(2), drift(3), force(3))
    drift(4) = speed + width * force(3)
    call solver_force(place + width * drift(3), drift(4), force(4))
    place = place + width / 6 * (drift(1) + 2 * drift(2) + 2 * drift(3) + drift(4))
    speed = speed + width / 6 * (force(1) + 2 * force(2) + 2 * force(3) + force(4))
  end do
end subroutine

function solver_energy() bind(C) result(energy)
  use iso_c_binding, only: c_double
  implicit none
  real(c_double) :: energy
  real(c_double) :: place, speed, stiffness, friction
  common /spring/ place, speed, stiffness, friction
  energy = (stiffness * place**2 + speed**2) / 2
end function
